"""neat-python as a baseline: its population, mutation and speciation, scored as a search is."""

from wann.neat.genomes import network_parts
from wann.neat.search import NeatSearch
from wann.neat.state import NeatState

__all__ = ["NeatSearch", "NeatState", "network_parts"]
