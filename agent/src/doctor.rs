//! Looks for everything that would keep the agent from doing its work, and says what to do about it.
