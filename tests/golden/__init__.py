"""Values computed by Keras, with the recipe and the script that made them."""
