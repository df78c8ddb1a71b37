package cli

import (
	"kvasir/engine"
)

// recipeSearch finds the rows for which int8 is to blame, by halving: a set of rows is int8 while all others are f16, and
// of all sets measured the one that does most harm is cut in two and both halves are measured, until it is a single one.
// What few layers cause is found in about two passes for each halving and layer.
type recipeSearch struct {
	// measure returns how much harm each set does alone: above 1 is more than what passes.
	measure func(sets ...[]engine.RowSet) ([]float64, error)
	// enough reports whether all is well with these rows as f16. It may use measure.
	enough func(f16 []engine.RowSet) (bool, error)

	passes, atMost int
}

// blamed is a set of rows and the harm that it does.
type blamed struct {
	rows []engine.RowSet
	harm float64
}

// searchBound is how many passes a search among n sets of rows takes at most: every node of the binary tree below the
// whole once, and one trial for each set found.
func searchBound(n int) int { return 3*n - 2 }

// run returns the sets of rows, the worst first, with which enough says yes; none is known not to be enough. If it never
// does, that is all of them.
func (s *recipeSearch) run(rows []engine.RowSet) ([]engine.RowSet, error) {
	count := s.measure
	s.measure = func(sets ...[]engine.RowSet) ([]float64, error) {
		harm, err := count(sets...)
		s.passes += len(sets)
		return harm, err
	}
	defer func() { s.measure = count }()
	var found []engine.RowSet
	for open := []blamed{{rows: rows}}; len(open) > 0; {
		worst := 0
		for i, b := range open {
			if b.harm > open[worst].harm {
				worst = i
			}
		}
		b := open[worst]
		open = append(open[:worst], open[worst+1:]...)
		if len(b.rows) > 1 {
			half := (len(b.rows) + 1) / 2
			parts := [2][]engine.RowSet{b.rows[:half], b.rows[half:]}
			harm, err := s.measure(parts[0], parts[1])
			if err != nil {
				return nil, err
			}
			open = append(open, blamed{parts[0], harm[0]}, blamed{parts[1], harm[1]})
			continue
		}
		found = append(found, b.rows[0])
		if done, err := s.enough(found); done || err != nil {
			return found, err
		}
	}
	return found, nil
}
