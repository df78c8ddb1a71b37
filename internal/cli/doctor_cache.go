package cli

import (
	"fmt"

	"kvasir/kvcache"
	"kvasir/platform/vfs"
)

// cacheReport is what doctor finds of the KV cache and its bounds.
type cacheReport struct {
	Models     int   `json:"models"` // and formats
	Tokens     int   `json:"tokens"`
	UsedBytes  int64 `json:"used_bytes"`
	MaxBytes   int64 `json:"max_bytes"`
	MinFree    int64 `json:"min_free_bytes"`
	DailyBytes int64 `json:"daily_bytes"` // -1: no bound
	Today      int64 `json:"written_today_bytes"`
}

// checkCache looks at the store with the bounds of the environment. problem is what is wrong with these.
func (d *diagnosis) checkCache(home string, bounds kvcache.Options, problem error) *cacheReport {
	if problem != nil {
		d.wrong(problem.Error(), "correct or unset the variable: what keeps conversations refuses to run")
		return nil
	}
	if home == "" {
		return nil
	}
	v, err := kvcache.Look(vfs.OS(), home, bounds)
	if err != nil {
		d.note(fmt.Sprintf("the KV cache cannot be looked at: %v", err), "correct owner or mode of the state directory")
		return nil
	}
	r := &cacheReport{Models: len(v.Namespaces), UsedBytes: v.UsedBytes, MaxBytes: v.MaxBytes, MinFree: v.MinFree,
		DailyBytes: max(v.DailyBytes, -1), Today: v.Written.Today}
	unusable := 0
	for _, n := range v.Namespaces {
		r.Tokens += n.Tokens
		unusable += len(n.SetAside)
		if n.Err != nil {
			unusable++
		}
	}
	if unusable > 0 {
		d.note(fmt.Sprintf("%d files of the KV cache cannot be used", unusable), "'kvasir cache check' says why, 'kvasir cache gc' removes what is damaged")
	}
	switch {
	case bounds.MaxBytes < 0:
		d.note("the KV cache is told to store nothing (KVASIR_CACHE_BYTES=0)", "unset it: conversations are computed again after each start")
	case v.Space.Free < v.MinFree:
		d.note(fmt.Sprintf("less than the %s that the KV cache leaves free is free", bytesText(v.MinFree)),
			"free space, or lower KVASIR_CACHE_MIN_FREE: new rows find room only where others are evicted")
	}
	if r.DailyBytes >= 0 && r.Today >= r.DailyBytes-r.DailyBytes/64 {
		d.note(fmt.Sprintf("the KV cache has written the %s of its day", bytesText(r.DailyBytes)),
			"what comes stays in memory until 0:00 UTC, or raise KVASIR_CACHE_DAILY_BYTES")
	}
	return r
}

func (r *cacheReport) rows(t *table) {
	if r == nil {
		return
	}
	t.row("cache", fmt.Sprintf("%s of at most %s: %s tokens of %d models", bytesText(r.UsedBytes), bytesText(r.MaxBytes), countText(uint64(r.Tokens)), r.Models))
	today := bytesText(r.Today)
	if r.DailyBytes >= 0 {
		today += " of at most " + bytesText(r.DailyBytes)
	}
	t.row("written today", today)
}
