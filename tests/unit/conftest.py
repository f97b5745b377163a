"""Settings of Hypothesis: a busy machine is no failure."""

import hypothesis

hypothesis.settings.register_profile("authapp", deadline=None, max_examples=60)
hypothesis.settings.load_profile("authapp")
