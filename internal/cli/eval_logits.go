package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/urfave/cli/v2"

	"kvasir/engine"
	"kvasir/kvcache"
	"kvasir/quant"
)

const (
	maxIDsBytes = 64 << 20   // of the JSON file
	maxIDs      = maxContext // tokens in it
)

func (a *app) evalLogitsCommand() *cli.Command {
	return &cli.Command{
		Name: "logits", Usage: "compute the logits behind every token of a list",
		UsageText: "kvasir eval logits [-m MODEL] --tokens IDS.json --out FILE [--kv int8|f16|f32] [--batch N] [-t N]",
		Description: "IDS.json is a JSON array of token ids. The output holds, little-endian: int32 n, int32 vocabulary, n int32 ids,\n" +
			"and n rows of one float32 per token of the vocabulary. The model needs no vocabulary of its own.",
		Flags: append(modelFlags(),
			fileFlag("tokens", "the token ids, a JSON `FILE`, - for standard input"),
			fileFlag("out", "the `FILE` to write, - for standard output"),
			kvFlag("int8", ", or f32 (in memory only)"), batchFlag()),
		Action: a.evalLogits,
	}
}

func batchFlag() cli.Flag {
	return &cli.IntFlag{Name: "batch", Aliases: []string{"b"}, Value: engine.MaxBatch, Usage: "compute `N` tokens in one pass"}
}

func batchOf(c *cli.Context) (int, error) {
	if n := c.Int("batch"); n >= 1 && n <= engine.MaxBatch {
		return n, nil
	}
	return 0, usagef("--batch %d, expected 1 to %d", c.Int("batch"), engine.MaxBatch)
}

func (a *app) evalLogits(c *cli.Context) (err error) {
	path, err := required(c, "tokens")
	if err != nil {
		return err
	}
	out, err := required(c, "out")
	if err != nil {
		return err
	}
	if err := noArguments(c); err != nil {
		return err
	}
	kv, err := kvFormat(c)
	if err != nil {
		return err
	}
	batch, err := batchOf(c)
	if err != nil {
		return err
	}
	ids, err := a.readIDs(path)
	if err != nil {
		return err
	}
	m, err := a.openModel(c.Context, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	for i, id := range ids {
		if int(id) >= m.Config.NVocab {
			return dataErrorf("%.256q: token %d is %d, expected 0 to %d", path, i, id, m.Config.NVocab-1)
		}
	}
	need, err := contextBytes(m, m.Geometry(kv), len(ids), batch)
	if err != nil {
		return err
	}
	if err := checkMemory(fmt.Sprintf("a context of %d tokens", len(ids)), need); err != nil {
		return err
	}
	ctx, stop := interruptible(c)
	defer stop()
	return a.writeOutput(out, func(w io.Writer) error { return a.logits(ctx, m, ids, kv, batch, w) })
}

// readIDs reads a JSON array of token ids, none of them negative.
func (a *app) readIDs(path string) ([]int32, error) {
	b, err := a.readInput(path, maxIDsBytes)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var ids []int32
	if tok, err := d.Token(); err != nil || tok != json.Delim('[') {
		return nil, dataErrorf("%.256q: found %.128q, expected a JSON array of token ids", path, b[:min(len(b), 32)])
	}
	for d.More() {
		var id int32
		if err := d.Decode(&id); err != nil {
			return nil, dataErrorf("%.256q: token %d: %w", path, len(ids), err)
		}
		if id < 0 {
			return nil, dataErrorf("%.256q: token %d is %d, expected 0 or more", path, len(ids), id)
		}
		if len(ids) == maxIDs {
			return nil, dataErrorf("%.256q: more than the %d tokens allowed", path, maxIDs)
		}
		ids = append(ids, id)
	}
	if _, err := d.Token(); err != nil {
		return nil, dataErrorf("%.256q: the array does not end: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, dataErrorf("%.256q: more behind the array of %d token ids", path, len(ids))
	}
	if len(ids) == 0 {
		return nil, dataErrorf("%.256q: no token ids, expected at least one", path)
	}
	return ids, nil
}

// logits writes the logits behind each of ids.
func (a *app) logits(ctx context.Context, m *engine.Model, ids []int32, kv quant.KVFormat, batch int, w io.Writer) (err error) {
	g := m.Geometry(kv)
	ns, err := kvcache.NewRAM(g)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	s := m.NewContext(ns, g, len(ids), batch)
	defer func() { err = errors.Join(s.Close(), err) }()
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(ids)))
	head = binary.LittleEndian.AppendUint32(head, uint32(m.Config.NVocab))
	for _, id := range ids {
		head = binary.LittleEndian.AppendUint32(head, uint32(id))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	bar := a.progress("logits")
	defer bar.end()
	row := make([]byte, 4*m.Config.NVocab)
	return s.Each(ctx, ids, func(pos int, logits []float32) error {
		for i, v := range logits {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(v))
		}
		bar.set(int64(pos+1), int64(len(ids)))
		_, err := w.Write(row)
		return err
	})
}
