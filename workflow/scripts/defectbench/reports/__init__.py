"""What people read of the results: tables, details, pages. Metrics are computed in evaluation."""
