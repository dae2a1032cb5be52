"""Programs as processes: how they are started, shown, kept running, and ended with all that they started."""
