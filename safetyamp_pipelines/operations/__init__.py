"""What the product does and answers on any surface: plan, push, undo, explain, forget, alerts. No Dagster."""
