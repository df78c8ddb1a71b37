#!/bin/sh
# Shows what kvasir is for: tell it a name, kill -9 it in the middle of an answer, and go on. Needs the program only.
#   sh demo-resume.sh [KVASIR]
set -u
kvasir=${1:-./kvasir}
case $kvasir in */*) ;; *) kvasir=$(command -v "$kvasir") || exit 2 ;; esac
[ -x "$kvasir" ] || { echo "no program at $kvasir" >&2; exit 2; }
dir=$(mktemp -d) || exit 2
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
unset KVASIR_MODEL
failed=0

step() { printf '\n== %s\n' "$1"; }
check() { # check TEXT TEST...: one PASS or FAIL line
  text=$1
  shift
  if "$@"; then echo "PASS  $text"; else echo "FAIL  $text"; failed=1; fi
}
at() { KVASIR_HOME=$dir/$1; export KVASIR_HOME; }
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$dir/stats"; }
size() { wc -c < "$1" | tr -d ' '; }
# The text of the last answer in a session, as the program prints it.
held() { "$kvasir" sessions show S | sed -n '/^[0-9]* assistant:$/,$p' | sed 's/ \[cut off\]$//' | awk '/^[0-9]* assistant:$/ { t = ""; next } { t = t sep $0; sep = "" } END { printf "%s", t }'; }

hello='My name is Ada.'
ask='Tell me a story about a dog.'
recall='What is my name?'

step 'A conversation that nothing interrupts, to compare with'
at whole
"$kvasir" run --session S --temp 0 "$hello" > /dev/null || exit 1
"$kvasir" run --session S --temp 0 "$ask" > "$dir/want" || exit 1
echo "> $ask"
cat "$dir/want"
echo

step 'The same, and kill -9 in the middle of the answer'
at killed
echo "> $hello"
"$kvasir" run --session S --temp 0 "$hello" || exit 1
printf '\n> %s\n' "$ask"
# The built-in model is tiny; the reference kernels are slow enough for its answer to be caught in the middle, and they
# compute the same bits as the fast ones, so that both may work on one conversation.
try=0
while :; do
  : > "$dir/seen"
  KVASIR_KERNELS=reference "$kvasir" run --session S --temp 0 "$ask" > "$dir/seen" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null && [ "$(size "$dir/seen")" -lt 20 ]; do :; done
  kill -9 "$pid" 2>/dev/null
  { wait "$pid"; } 2>/dev/null
  pid=
  [ "$(size "$dir/seen")" -lt "$(size "$dir/want")" ] && break
  try=$((try + 1)) # it was faster: once more from the start
  [ "$try" -lt 20 ] || { echo 'the answer was over before it could be killed' >&2; exit 1; }
  rm -rf "$dir/killed"
  "$kvasir" run --session S --temp 0 "$hello" > /dev/null || exit 1
done
cat "$dir/seen"
echo ' ... killed'

step 'What the journal holds'
"$kvasir" sessions show S
held > "$dir/held"
dd if="$dir/held" bs=1 count="$(size "$dir/seen")" of="$dir/start" 2>/dev/null
"$kvasir" sessions show S -o json > "$dir/json"
echo
check 'every token that was printed is in the journal' cmp -s "$dir/start" "$dir/seen"
check 'the answer is marked as cut off' grep -q '"complete":false}\]' "$dir/json"

step 'Started again with --continue'
"$kvasir" run --session S --temp 0 --continue --stats "$dir/stats" > "$dir/more" || failed=1
cat "$dir/more"
echo
computed=$(number computed_tokens)
echo "$(number prompt_tokens) tokens so far: $(number reused_tokens) reused from disk, $computed computed again; first token after $(number first_token_ms) ms"
cat "$dir/held" "$dir/more" > "$dir/got"
check 'at most 64 tokens were computed again' [ "${computed:-65}" -le 64 ]
check 'the answer goes on as if nothing had happened' cmp -s "$dir/got" "$dir/want"

step 'And it still knows'
echo "> $recall"
answer=$("$kvasir" run --session S --temp 0 "$recall")
echo "$answer"
case $answer in *Ada*) known=true ;; *) known=false ;; esac
check 'the model still knows the name' "$known"
exit "$failed"
