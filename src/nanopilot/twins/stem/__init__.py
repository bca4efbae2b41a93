"""A scanning transmission electron microscope whose truth is known: atoms, lens, dose, damage."""
