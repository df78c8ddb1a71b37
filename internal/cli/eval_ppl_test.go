package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The perplexity and the divergence computed again, in the plainest way, from the logits that eval logits writes for
// each chunk.
func TestPerplexityIsThatOfTheLogits(t *testing.T) {
	dir := shared(t)
	model, text := filepath.Join(dir, "models", "stories260K.gguf"), filepath.Join(dir, "text", "war-and-peace.txt")
	const size, nChunks, bos = 64, 3, 1
	r := decode[pplResult](t, kvasir(t, "", "eval", "ppl", "-m", model, "--file", text, "-c", fmt.Sprint(size), "--chunks", fmt.Sprint(nChunks),
		"--against", "f16", "--batch", "20", "-t", "1", "-o", "json"))
	ids := decode[[]int32](t, kvasir(t, "", "eval", "tokenize", "-m", model, "--file", text, "--bos"))
	nll, nllAgainst, n, same := 0.0, 0.0, 0, 0
	var kls []float64
	for i := range nChunks {
		chunk := slices.Clone(ids[i*size : (i+1)*size])
		chunk[0] = bos
		q, p := evalLogits(t, model, chunk, "--kv", "int8", "-t", "1"), evalLogits(t, model, chunk, "--kv", "f16", "-t", "1")
		for pos := size / 2; pos < size-1; pos++ {
			qs, ps := softmax(q.logits[pos*q.nVocab:(pos+1)*q.nVocab]), softmax(p.logits[pos*p.nVocab:(pos+1)*p.nVocab])
			next := chunk[pos+1]
			nll -= math.Log(qs[next])
			nllAgainst -= math.Log(ps[next])
			kl, topQ, topP := 0.0, 0, 0
			for j := range ps {
				kl += ps[j] * math.Log(ps[j]/qs[j])
				if qs[j] > qs[topQ] {
					topQ = j
				}
				if ps[j] > ps[topP] {
					topP = j
				}
			}
			kls = append(kls, kl)
			if topQ == topP {
				same++
			}
			n++
		}
	}
	slices.Sort(kls)
	mean := 0.0
	for _, kl := range kls {
		mean += kl / float64(n)
	}
	close := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }
	d := r.Divergence
	if d == nil {
		t.Fatalf("no divergence: %+v", r)
	}
	t.Logf("%+v %+v", r, *d)
	if r.Tokens != n || r.Chunks != nChunks || r.Context != size || r.KV != "int8" || r.Against != "f16" {
		t.Errorf("%+v, want %d tokens in %d chunks of %d", r, n, nChunks, size)
	}
	if !close(r.PPL, math.Exp(nll/float64(n))) || !close(d.PPL, math.Exp(nllAgainst/float64(n))) {
		t.Errorf("perplexities %g, %g; want %g, %g", r.PPL, d.PPL, math.Exp(nll/float64(n)), math.Exp(nllAgainst/float64(n)))
	}
	// 93 values: the 99th percentile is the 93rd.
	if !close(d.KLMean, mean) || !close(d.KLMax, kls[n-1]) || !close(d.KLP99, kls[int(math.Ceil(0.99*float64(n)))-1]) || d.SameTop != float64(same)/float64(n) {
		t.Errorf("%+v; want mean %g, most %g, same %d of %d", *d, mean, kls[n-1], same, n)
	}
}

func softmax(x []float32) []float64 {
	out, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		out[i] = math.Exp(float64(v) - float64(slices.Max(x)))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// A trained model's perplexity on English, on a cache of f32 and of int8.
func TestPerplexityOfATrainedModel(t *testing.T) {
	dir := shared(t)
	args := []string{"eval", "ppl", "-m", filepath.Join(dir, "models", "stories260K.gguf"), "--file", filepath.Join(dir, "text", "war-and-peace.txt"),
		"-c", "256", "--chunks", "4", "-t", "1", "-o", "json"}
	f32 := decode[pplResult](t, kvasir(t, "", append(args, "--kv", "f32")...))
	int8 := decode[pplResult](t, kvasir(t, "", args...))
	t.Logf("perplexity %.3f on f32, %.3f on int8", f32.PPL, int8.PPL)
	if f32.Tokens != 4*127 || f32.PPL < 10 || f32.PPL > 100 || math.Abs(int8.PPL/f32.PPL-1) > 0.02 {
		t.Errorf("f32 %+v, int8 %+v", f32, int8)
	}
}

// A format against itself does not diverge, and a model of random weights knows nothing.
func TestPerplexityEdges(t *testing.T) {
	text := file(t, "text", strings.Repeat("the cat sat on the mat. ", 40))
	r := decode[pplResult](t, kvasir(t, "", "eval", "ppl", "--file", text, "-c", "64", "--against", "int8", "-o", "json"))
	if d := r.Divergence; d == nil || d.KLMean != 0 || d.KLMax != 0 || d.SameTop != 1 || d.PPL != r.PPL {
		t.Errorf("%+v", r)
	}
	if r.PPL < 50 || r.Chunks < 10 {
		t.Errorf("random weights: %+v", r)
	}
	table := kvasir(t, "", "eval", "ppl", "--file", text, "-c", "64", "--chunks", "1", "--against", "f16")
	for _, want := range []string{"perplexity  ", "31, in 1 chunks of 64", "against f16", "same top token"} {
		if !strings.Contains(table.out, want) || table.code != 0 {
			t.Errorf("exit code %d, no %q in\n%s", table.code, want, table.out)
		}
	}
}

func TestQuantile(t *testing.T) {
	xs := make([]float64, 200)
	for i := range xs {
		xs[i] = float64(i + 1)
	}
	for _, c := range []struct {
		n       int
		q, want float64
	}{{200, 0.99, 198}, {200, 1, 200}, {200, 0, 1}, {1, 0.99, 1}, {100, 0.99, 99}, {101, 0.99, 100}} {
		if got := quantile(xs[:c.n], c.q); got != c.want {
			t.Errorf("%d values, %g: %g, want %g", c.n, c.q, got, c.want)
		}
	}
}

// The JSON keys are part of the interface.
func TestPPLKeys(t *testing.T) {
	b, err := json.Marshal(&pplResult{Against: "f16", Divergence: &Divergence{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"ppl":`, `"tokens":`, `"kl_mean":`, `"kl_p99":`, `"same_top":`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("no %s in %s", key, b)
		}
	}
}
