"""Rewards in the shapes that trainers call: each module has a `reward_function` for one of them."""
