"""Amazon's side of Just Walk Out, for trying everything with no AWS account. Stands alone."""
