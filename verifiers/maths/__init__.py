"""How a final answer is found, read and compared. `proctor.verifiers.answers` is the door to it."""
