"""From metrics to what people read. Nothing here computes a metric."""
