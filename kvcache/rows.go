package kvcache

// SessionRows is what the store holds of a conversation, in all formats together.
type SessionRows struct {
	Blocks int
	Bytes  int64 // of the slots of these blocks
	Shared []SharedRows
}

// SharedRows are rows that another session uses, too.
type SharedRows struct {
	Session string
	Tokens  int // at the beginning of both, in whole blocks; in the format that shares the most
	Bytes   int64
}

// Rows looks up what is stored of a conversation and who shares it. It takes no lock and reads headers only: see Look. Other
// sessions that cannot be read share nothing.
func (s *Sessions) Rows(c *Conversation) (SessionRows, error) {
	var rows SessionRows
	store, err := glance(s.fs, s.home, Options{})
	if err != nil {
		return rows, err
	}
	stored, err := store.Stored()
	if err != nil {
		return rows, err
	}
	type set struct {
		n      *Namespace
		blocks map[*block]bool
	}
	var sets []set
	for _, st := range stored {
		if st.Err != nil || st.Fingerprint != c.Model.Fingerprint {
			continue
		}
		n, err := store.load(st.lay, st.Fingerprint, nil)
		if err != nil {
			continue
		}
		defer n.closeFiles()
		own := set{n, map[*block]bool{}}
		n.along(c.IDs(), func(b *block) { own.blocks[b] = true })
		rows.Blocks += len(own.blocks)
		rows.Bytes += int64(len(own.blocks)) * int64(n.lay.slotBytes)
		sets = append(sets, own)
	}
	if rows.Blocks == 0 {
		return rows, nil
	}
	err = s.Scan(func(info SessionInfo, other *Conversation) error {
		if other == nil || other.Name == c.Name || other.Model.Fingerprint != c.Model.Fingerprint {
			return nil
		}
		shared := SharedRows{Session: other.Name}
		for _, own := range sets {
			tokens := 0
			own.n.along(other.IDs(), func(b *block) {
				if own.blocks[b] {
					shared.Bytes += int64(own.n.lay.slotBytes)
					if b.full() {
						tokens += BlockTokens
					}
				}
			})
			shared.Tokens = max(shared.Tokens, tokens)
		}
		if shared.Tokens > 0 {
			rows.Shared = append(rows.Shared, shared)
		}
		return nil
	})
	return rows, err
}
