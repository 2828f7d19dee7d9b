"""What is deployed: image, chart, rules and dashboards."""
