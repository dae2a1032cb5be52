"""Programs as processes: started, shown, kept running, and ended with all they started."""
