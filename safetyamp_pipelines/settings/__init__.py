"""The settings: loading, model, vault, logs. The only room that reads the environment."""
