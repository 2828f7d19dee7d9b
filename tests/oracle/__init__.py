"""An independent answer to "what should SafetyAmp hold after a sync?", worked out from the design and the contracts.

It reads the sandbox world's raw rows and SafetyAmp's tables before the sync and shares no code with the package: where
the two differ, one of them is wrong. What the design leaves open is decided in comments that begin with `Choice:`.
"""

from oracle.answer import Answer, Memory, work_out
from oracle.compare import differences

__all__ = ["Answer", "Memory", "differences", "work_out"]
