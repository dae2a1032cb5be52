"""Live progress in the pages of other programs: by watch token, without a cookie."""
