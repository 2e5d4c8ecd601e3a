"""What the tests on generated input share."""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

odd_text = st.one_of(
    st.sampled_from(
        ["", " ", "\n", "\x00", "\ud83d", "１０４２", " 1042", "order-1042", "1042; --", "ß" * 300]
    ),
    st.text(max_size=20),
)


def swept(examples: int, soak: int) -> settings:
    """Some examples, the same every time; with SOAK=1 many."""
    return settings(
        max_examples=soak if os.environ.get("SOAK") else examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],  # a shrunk script would be nicer; it takes many minutes
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
