"""From scores to metrics. Label 1 is defective; a higher score means more anomalous."""
