"""What must hold whatever the numbers are: threads, masks, batch order, carried states, dropout."""
