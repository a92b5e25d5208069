/* segue.h: the contract between Segue and a plugin, ABI 1.2.
 *
 * A plugin is a shared library that exports one function,
 *
 *     const segue_plugin *segue_plugin_table(void);
 *
 * and this header is all it needs. Batches cross as Arrow C Data Interface
 * structs, options and manifests as JSON text in UTF-8, errors as a code, a
 * message and, where one option is at fault, the option's name.
 *
 * Calls never overlap on one stage, and a stage stays on the thread that
 * created it; two stages of one library may run on two threads at once. The
 * library is never unloaded. A call must not let an exception or a panic out.
 */
#ifndef SEGUE_H
#define SEGUE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEGUE_MAGIC UINT64_C(0x5345475545504c47) /* "SEGUEPLG" */
#define SEGUE_ABI_MAJOR 1
#define SEGUE_ABI_MINOR 2

/* The Arrow C Data Interface: https://arrow.apache.org/docs/format/CDataInterface.html */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};
#endif

/* UTF-8, not ended by a zero byte. Valid only during the call that passes it. */
typedef struct segue_text {
  const char *data;
  size_t length;
} segue_text;

/* How a plugin answers a call. All three may be used only during that call. */
typedef struct segue_reply {
  void *host; /* first argument of each function below */
  /* The JSON answer of `manifest`, `columns` and `units`. */
  void (*text)(void *host, segue_text json);
  /* One output batch: a struct array (format "+s") with a child per column.
   * The host moves both structs out and releases them when it is done. */
  void (*batch)(void *host, struct ArrowArray *array, struct ArrowSchema *schema);
  /* Why the call fails: a code such as "bad-option", a message in lower case
   * without a full stop, and the option at fault (length 0: none). */
  void (*fail)(void *host, segue_text code, segue_text message, segue_text option);
  /* Since 1.1: one line on how far a long job is, shown at once. */
  void (*progress)(void *host, segue_text line);
  /* Since 1.1, for a stage that keeps state: what it was given up to and with this
   * call survives a crash, so that the host may commit it. */
  void (*saved)(void *host);
  /* Since 1.2, the answer of `snapshot`: the stage's state, which the host copies. */
  void (*state)(void *host, const uint8_t *bytes, size_t length);
  /* Since 1.2, for a stage that keeps state: it needs no more input. It gets none after
   * this call, whatever still comes, and is told to `finish`; sources that lead nowhere
   * else stop. It does not imply `saved`. Only `process` and `flush` may say it. */
  void (*done)(void *host);
} segue_reply;

/* Since 1.2: where a batch comes from. Later versions may add fields at its end. */
typedef struct segue_origin {
  uint64_t time;
  /* The input port: its place among the operator's `ports`, or where it names none the
   * place of the edge in `from`, then in `loop`. */
  uint32_t port;
  uint32_t reserved; /* 0 */
} segue_origin;

/* Every function returns 0, or another number after `reply->fail`. */
typedef struct segue_plugin {
  /* These four keep their place in every ABI, so that any host can refuse. */
  uint64_t magic;     /* SEGUE_MAGIC */
  uint32_t abi_major; /* SEGUE_ABI_MAJOR: must equal the host's */
  uint32_t abi_minor; /* SEGUE_ABI_MINOR: may be lower than the host's */
  uint64_t size;      /* sizeof(segue_plugin); a table of 1.0 ends before `finish` */

  /* {"operators": [{
   *    "name": "upper", "version": "1.0.0", "doc": "one line",
   *    "options": [{"name": "column", "type": "string", "default": "text",
   *                 "required": false, "doc": "one line", "choices": []}],
   *    "units": false, "starts": false,
   *    "ports": [{"name": "candidates", "whole": false}, {"name": "rows", "whole": true}],
   *    "examples": [{"options": {}, "input": [{"text": "a"}], "output": [{"text": "A"}]}]
   * }]}
   * Option types: "string", "integer", "number", "boolean", "path" (the host
   * resolves it against the graph file and checks that it exists),
   * "output-path" (resolved only), "strings", "integers", "numbers". Numbers may have "minimum" and "maximum", both
   * included. `default`, `choices`, `units`, `ports`, `starts` and `examples` may be left out.
   * Choices, as text, are for numbers and the items of lists too. An example of an operator
   * with several ports has "inputs": {"rows": [...], "model": [...]} in place of "input".
   * Ports (since 1.2): each edge of `from` and `loop` leads to one, in their order or as the
   * graph names them: `from = { rows = "train" }`. A whole port is a side input: every
   * replica gets all of its rows before its first other batch, and gives nothing for them.
   * Starts (since 1.2): the stage needs no `from`; `begin` is called. */
  int32_t (*manifest)(const segue_reply *reply);

  /* What the operator reads and writes under these options, given the columns
   * that reach it: `input` is [{"name": "text", "type": "utf8"}, ...]. Answer:
   * {"reads": [{"name": "text", "type": "utf8"}], "writes": [...],
   *  "drops": ["text"], "rows": "same", "stateful": false, "snapshots": false,
   *  "snapshot_ms": 0, "spreads": false}
   * Where the operator has ports, each column of `input` and of `reads` says at which:
   * {"name": "text", "type": "utf8", "port": "rows"}; columns of other ports pass by only
   * where they are at every port that is not whole.
   * Types: "bool", "i8".."i64", "u8".."u64", "f32", "f64", "utf8";
   * "list u32"; "fixed f32[2]" (each row a vector of 2);
   * "ragged f32[384]" (each row a list of vectors of 384).
   * Rows: "same" (one output row an input row; the default);
   * "mapped" (the output has a column `row: u32` that names the input row each
   * output row came from, in ascending order); "new" (unrelated rows: no
   * column passes through).
   * The stage is given only what it reads. Other columns pass by it, those in
   * `drops` end here.
   * Stateful (since 1.1, which calls it `keeps`: that is still read): true for a stage
   * whose batches build on each other, such as one that trains. It has one instance, which
   * gets every batch in order of time, and nothing it was given is committed before it calls
   * `reply->saved` or ends.
   * Snapshots (since 1.2): with `stateful`, the host asks for the state instead, at least
   * `snapshot_ms` milliseconds apart.
   * Spreads (since 1.2): with rows "new", each batch is for itself and nothing is held back
   * until `flush`, so that the batches of one time may be dealt over all replicas. Those of
   * stages whose rows are "same" or "mapped" always may. */
  int32_t (*columns)(segue_text operator_name, segue_text options, segue_text input,
                     const segue_reply *reply);

  /* The parts a stage can be cut into, or NULL:
   * {"option": "layers", "units": [{"name": "layer 0", "cost": 1.0, "bytes": 0}]}
   * A segment gets units a..b as the option's text "a..b". */
  int32_t (*units)(segue_text operator_name, segue_text options, const segue_reply *reply);

  /* Makes a stage. `context` is {"stage": "encoder/0", "device": "local",
   * "worker": 0, "from": 0, "input": [...]}. Input: the columns that reach the
   * stage, as `columns` is given them. From: the first time that can come; after a crash the
   * first that is not committed. Times that a stage itself saved may come again, and it
   * must then give the same again.
   * On success `*stage` is what the calls below receive. */
  int32_t (*create)(segue_text operator_name, segue_text options, segue_text context,
                    const segue_reply *reply, void **stage);

  /* One batch in, any number out through `reply->batch`. The plugin takes over
   * both structs: it must release them, before returning or later. */
  int32_t (*process)(void *stage, uint64_t time, struct ArrowArray *array,
                     struct ArrowSchema *schema, const segue_reply *reply);

  /* No more input can come at `time`. May be NULL. */
  int32_t (*flush)(void *stage, uint64_t time, const segue_reply *reply);

  /* The last call on a stage. */
  void (*drop)(void *stage);

  /* Since 1.1, may be NULL: no more input can come at all. Called on stateful stages alone,
   * again and again, with the host at work in between, while it sets `*more` to 1. */
  int32_t (*finish)(void *stage, const segue_reply *reply, int32_t *more);

  /* Since 1.2, for a stage whose columns say "snapshots": all that it needs to go on
   * behind the last time it was given, through `reply->state`. Called between two times.
   * A stage that says so saves nothing itself. */
  int32_t (*snapshot)(void *stage, const segue_reply *reply);

  /* Since 1.2: goes on behind the time at which `snapshot` gave these bytes. Called once,
   * after `create` and before the first batch, maybe on another device. */
  int32_t (*restore)(void *stage, const uint8_t *bytes, size_t length, const segue_reply *reply);

  /* Since 1.2, may be NULL: called in place of `process`, which must be there too. */
  int32_t (*process_from)(void *stage, const segue_origin *origin, struct ArrowArray *array,
                          struct ArrowSchema *schema, const segue_reply *reply);

  /* Since 1.2, for a stage that starts: the first call after `create` in a fresh run, in
   * which it gives its first batches, at time 0. May be NULL otherwise. */
  int32_t (*begin)(void *stage, const segue_reply *reply);
} segue_plugin;

const segue_plugin *segue_plugin_table(void);

/* For plugins without a JSON library: the JSON text of one option, as it stands
 * (a string keeps its quotes), or length 0 where `options` does not have it. */
static inline segue_text segue_option(segue_text options, const char *name) {
  segue_text value = {0, 0};
  size_t name_length = 0, start = 0, key = 0, key_length = 0;
  int depth = 0, in_string = 0, is_key = 0;
  while (name[name_length]) name_length++;
  for (size_t i = 0; i < options.length; i++) {
    char c = options.data[i];
    if (in_string) {
      if (c == '\\') i++;
      else if (c == '"') {
        in_string = 0;
        if (is_key) key_length = i - key;
      }
    } else if (c == '"') {
      in_string = 1;
      if (depth == 1 && is_key) key = i + 1;
    } else if (c == ':' && depth == 1) {
      is_key = 0;
      start = i + 1;
    } else if (depth == 1 && (c == ',' || c == '}')) {
      int same = key_length == name_length && start > 0;
      for (size_t k = 0; same && k < name_length; k++) same = options.data[key + k] == name[k];
      if (same) {
        value.data = options.data + start;
        value.length = i - start;
        return value;
      }
      is_key = 1;
      if (c == '}') depth--;
    } else if (c == '{' || c == '[') {
      if (depth++ == 0) is_key = 1;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return value;
}

/* The whole number that option `name` has, or `otherwise`. */
static inline int64_t segue_option_integer(segue_text options, const char *name,
                                           int64_t otherwise) {
  segue_text text = segue_option(options, name);
  int64_t number = 0;
  int negative = text.length > 0 && text.data[0] == '-';
  size_t i = negative ? 1 : 0;
  if (i == text.length) return otherwise;
  for (; i < text.length; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return otherwise;
    number = number * 10 + (text.data[i] - '0');
  }
  return negative ? -number : number;
}

#ifdef __cplusplus
}
#endif
#endif
