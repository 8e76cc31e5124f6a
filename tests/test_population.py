from strategies import grown_genomes

from wann.genome import Genomes
from wann.population import Population


def test_a_population_is_as_long_as_its_genomes_and_knows_its_generation():
    population = Population(Genomes.stack(grown_genomes(1, 7, 5)), generation=4)
    assert (len(population), population.generation) == (7, 4)
