/* llama.cpp's shared library without its headers, for the drivers beside this file.
 *
 * The parameter structs are passed as opaque blocks larger than the real ones (the System V ABI passes both in memory);
 * only leading fields, stable across releases, are set: n_ctx (offset 0), n_batch (4), n_ubatch (8).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { unsigned char b[768]; } block;
typedef struct { int32_t n_tokens; int32_t *token; void *embd; int32_t *pos; int32_t *n_seq_id; int32_t **seq_id; int8_t *logits; void *pad[4]; } batch;

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void quiet(int level, const char *text, void *user) { (void)level; (void)text; (void)user; }
static void *sym(const char *n) { void *p = dlsym(RTLD_DEFAULT, n); if (!p) { fprintf(stderr, "missing %s\n", n); exit(1); } return p; }

static batch (*get_one)(int32_t *, int32_t);
static int (*decode)(void *, batch);
static float *(*logits)(void *, int);
static int n_vocab;

/* open_model loads the libraries in the folder dir and the model. */
static void *open_model(const char *dir, const char *file) {
    char path[4096];
    const char *names[] = {"libggml-base.so", "libggml.v0.5.0.so", "libllama.v0.5.0.so"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (!dlopen(path, RTLD_NOW | RTLD_GLOBAL)) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    }
    ((void (*)(void *, void *))sym("llama_log_set"))((void *)quiet, NULL);
    ((void (*)(void *, void *))sym("ggml_log_set"))((void *)quiet, NULL);
    ((void (*)(const char *))sym("ggml_backend_load_all_from_path"))(dir);
    ((void (*)(void))sym("llama_backend_init"))();
    block mp = ((block (*)(void))sym("llama_model_default_params"))();
    void *model = ((void *(*)(const char *, block))sym("llama_model_load_from_file"))(file, mp);
    if (!model) { fprintf(stderr, "cannot load %s\n", file); exit(1); }
    n_vocab = ((int (*)(void *))sym("llama_vocab_n_tokens"))(((void *(*)(void *))sym("llama_model_get_vocab"))(model));
    get_one = sym("llama_batch_get_one"), decode = sym("llama_decode"), logits = sym("llama_get_logits_ith");
    return model;
}

/* open_context makes a context of at least n positions, with a KV cache in f16 or q8_0. */
static void *open_context(void *model, uint32_t n, int threads, int q8) {
    block cp = ((block (*)(void))sym("llama_context_default_params"))();
    uint32_t *u = (uint32_t *)cp.b;
    if (u[1] != 2048 || u[2] != 512) { fprintf(stderr, "unexpected llama_context_params layout\n"); exit(1); }
    u[0] = (n + 255) / 256 * 256;
    if (q8) { /* type_k, type_v: the pair of adjacent int32 equal to GGML_TYPE_F16 (1) after the two callback pointers */
        int32_t *w = (int32_t *)cp.b; int done = 0;
        for (int i = 16; i < 40 && !done; i++) if (w[i] == 1 && w[i + 1] == 1) { w[i] = w[i + 1] = 8; done = 1; }
        if (!done) { fprintf(stderr, "type_k not found\n"); exit(1); }
    }
    void *ctx = ((void *(*)(void *, block))sym("llama_init_from_model"))(model, cp);
    if (!ctx) { fprintf(stderr, "no context\n"); exit(1); }
    ((void (*)(void *, int, int))sym("llama_set_n_threads"))(ctx, threads, threads);
    return ctx;
}

/* random_tokens are n tokens, the same ones each time. */
static int32_t *random_tokens(uint32_t n) {
    int32_t *tok = malloc(4 * (n + 1));
    uint32_t s = 42;
    for (uint32_t i = 0; i < n; i++) { s = s * 1664525u + 1013904223u; tok[i] = 300 + (s >> 8) % (n_vocab > 1300 ? n_vocab - 1000 : n_vocab - 300); }
    return tok;
}

/* prefill decodes n tokens in batches. */
static void prefill(void *ctx, int32_t *tok, int n) {
    for (int i = 0; i < n; i += 2048)
        if (decode(ctx, get_one(tok + i, n - i < 2048 ? n - i : 2048))) { fprintf(stderr, "decode failed\n"); exit(1); }
}

/* next decodes a token and returns the likeliest one behind it. */
static int32_t next(void *ctx, int32_t t) {
    if (decode(ctx, get_one(&t, 1))) { fprintf(stderr, "decode failed\n"); exit(1); }
    float *l = logits(ctx, -1); int best = 0;
    for (int v = 1; v < n_vocab; v++) if (l[v] > l[best]) best = v;
    return best;
}
