"""Our kernels beside what a user would pick instead: ratios measured in one run."""
