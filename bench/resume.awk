# resume.awk: medians of the lines of resume.sh.
function field(name,  m) { return match($0, "\"" name "\":\"?[^,\"}]*") ? substr($0, RSTART + length(name) + 3 + (substr($0, RSTART + length(name) + 3, 1) == "\""), RLENGTH - length(name) - 3 - (substr($0, RSTART + length(name) + 3, 1) == "\"")) : "" }
function median(list,  a, n, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
	return a[int((n + 1) / 2)]
}
{
	k = field("length") "|" field("cache")
	if (!(k in seen)) { seen[k] = 1; order[++nk] = k }
	p = field("program")
	first[k, p] = first[k, p] " " field("first_token_ms")
	bytes[k, p] = bytes[k, p] " " field("written_bytes")
	if (p == "kvasir") { runs[k]++; computed[k] = computed[k] " " field("computed_tokens") }
}
END {
	print "| tokens | page cache | kvasir, ms | llama.cpp, ms | ratio | kvasir writes, KB | llama.cpp writes, KB | computed | runs |"
	print "|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= nk; i++) {
		k = order[i]
		split(k, part, "|")
		a = median(first[k, "kvasir"]); b = median(first[k, "llama.cpp"])
		printf "| %s | %s | %.0f | %.0f | %.1f | %.0f | %.0f | %s | %d |\n", part[1], part[2], a, b, b / a, median(bytes[k, "kvasir"]) / 1000, median(bytes[k, "llama.cpp"]) / 1000, median(computed[k]), runs[k]
	}
}
