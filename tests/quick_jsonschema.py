"""jsonschema, which nbval brings, without the grammar of international addresses.

It takes a second to build, in every process that imports jsonschema, and no notebook is checked by it.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import jsonschema  # noqa: E402, F401

del sys.modules["rfc3987_syntax"]
