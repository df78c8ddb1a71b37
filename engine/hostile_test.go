package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/quant"
)

// A journal may come from anyone (sessions import): token ids that the model does not have are an error, whatever turn they stand in.
func TestSessionWithIDsOutsideTheVocabulary(t *testing.T) {
	m, home := textModel(t), t.TempDir()
	w := openMemory(t, m, home, quant.KVInt8)
	for name, bad := range map[string]int32{"beyond": int32(m.Config.NVocab), "far": 1<<31 - 1, "negative": -1} {
		for _, generated := range []bool{false, true} {
			name := name
			if generated {
				name += " generated"
			}
			j, err := w.Sessions.Create(name)
			if err == nil {
				err = j.Model(kvcache.ModelRecord{Fingerprint: w.Fingerprint(), Name: "text"})
			}
			if err == nil && generated {
				err = errors.Join(j.Turn("user", "hello", []int32{5, 6}), j.Tokens([]int32{7, bad}, []byte("x"), make([]byte, 16)))
			} else if err == nil {
				err = j.Turn("user", "hello", []int32{5, bad, 6})
			}
			if err = errors.Join(err, j.Close()); err != nil {
				t.Fatal(err)
			}
			c, _, err := m.OpenSession(context.Background(), w, name, engine.ConversationOptions{Sample: sampling()}, nil)
			if err == nil || !strings.Contains(err.Error(), "token") {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				_ = c.Close()
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
