"""Why a record looks as it does in SafetyAmp, or why it is not there."""
