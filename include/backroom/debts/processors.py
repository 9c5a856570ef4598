"""Who takes the money of a payoff that is not paid at the till: the stores' processors, reached only when needed."""
