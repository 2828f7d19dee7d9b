"""SafetyAmp in step with Viewpoint Vista, Microsoft Entra ID and Samsara, as a Dagster project."""
