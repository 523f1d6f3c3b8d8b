"""Programs that print figures. They judge nothing: budgets and what was measured are in docs/performance.md."""
