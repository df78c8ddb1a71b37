/* Times llama.cpp going on with a sequence of tokens that an earlier process saved: what its prompt cache and slot restore
 * do (llama_state_seq_save_file and llama_state_seq_load_file, which node-llama-cpp calls saveStateToFile and loadStateFromFile).
 *
 *   gcc -O2 llamaresume.c -o llamaresume -ldl
 *   ./llamaresume LIB MODEL.gguf THREADS save N FILE      computes N tokens and saves them
 *   ./llamaresume LIB MODEL.gguf THREADS load N FILE NEW GEN
 * load takes the N tokens from FILE, computes NEW more, generates GEN and saves the file again. It prints one JSON line: ms from the
 * start of main to the first token, ms of the loading of the file in it, ms of saving, and the file's bytes.
 */
#include "peer.h"
#include <sys/stat.h>

int main(int argc, char **argv) {
    double start = now();
    if (argc < 7 || (!strcmp(argv[4], "load") && argc < 9)) { fprintf(stderr, "usage: llamaresume LIB MODEL THREADS save N FILE | load N FILE NEW GEN\n"); return 2; }
    int threads = atoi(argv[3]), load = !strcmp(argv[4], "load"), n = atoi(argv[5]);
    int n_new = load ? atoi(argv[7]) : 0, gen = load ? atoi(argv[8]) : 0;
    uint32_t need = n + n_new + gen + 64;
    void *ctx = open_context(open_model(argv[1], argv[2]), n + 512, threads, 0);
    size_t (*save)(void *, const char *, int32_t, const int32_t *, size_t) = sym("llama_state_seq_save_file");
    size_t (*restore)(void *, const char *, int32_t, int32_t *, size_t, size_t *) = sym("llama_state_seq_load_file");
    int32_t *tok = random_tokens(need);
    double first = 0, took = 0;
    if (load) {
        size_t got = 0;
        double a = now();
        if (!restore(ctx, argv[6], 0, malloc(4 * need), need, &got) || got != (size_t)n) { fprintf(stderr, "%s has %zu tokens, want %d\n", argv[6], got, n); return 1; }
        took = now() - a;
        prefill(ctx, tok + n, n_new - 1);
        tok[n + n_new] = next(ctx, tok[n + n_new - 1]);
        first = now() - start;
        for (int i = 1; i < gen; i++) tok[n + n_new + i] = next(ctx, tok[n + n_new + i - 1]);
        n += n_new + gen - 1;
    } else {
        prefill(ctx, tok, n);
        (void)logits(ctx, -1);
    }
    double a = now();
    if (!save(ctx, argv[6], 0, tok, n)) { fprintf(stderr, "cannot save %s\n", argv[6]); return 1; }
    double saved = now() - a;
    struct stat st;
    stat(argv[6], &st);
    printf("{\"program\":\"llama.cpp\",\"tokens\":%d,\"first_token_ms\":%.1f,\"load_ms\":%.1f,\"save_ms\":%.1f,\"file_bytes\":%lld}\n",
           n, first * 1e3, took * 1e3, saved * 1e3, (long long)st.st_size);
    fflush(stdout);
    _exit(0);
}
