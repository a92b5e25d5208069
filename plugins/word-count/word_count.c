/* word-count: counts the words of a text. A whole plugin in C, with the header alone.
 *
 *   cc -std=c11 -O2 -fPIC -shared -I. -o libsegue_word_count.so word_count.c
 */
#include "segue.h"

#include <stdlib.h>
#include <string.h>

/* What `create` makes and `drop` frees. */
struct word_count_stage {
  int64_t shortest;
};

static segue_text text_of(const char *text) {
  segue_text result = {text, strlen(text)};
  return result;
}

static int32_t fail(const segue_reply *reply, const char *code, const char *message,
                    const char *option) {
  reply->fail(reply->host, text_of(code), text_of(message), text_of(option));
  return 1;
}

static int32_t manifest(const segue_reply *reply) {
  reply->text(reply->host, text_of(
      "{\"operators\": [{"
      "\"name\": \"word-count\", \"version\": \"1.0.0\","
      "\"doc\": \"Counts the words of a text.\","
      "\"options\": [{\"name\": \"shortest\", \"type\": \"integer\", \"default\": 1,"
      "  \"doc\": \"Words of fewer bytes are not counted.\"}],"
      "\"examples\": [{\"options\": {\"shortest\": 2},"
      "  \"input\": [{\"text\": \"a film to see\"}], \"output\": [{\"words\": 3}]}]"
      "}]}"));
  return 0;
}

static int32_t columns(segue_text operator_name, segue_text options, segue_text input,
                       const segue_reply *reply) {
  (void)operator_name;
  (void)input;
  if (segue_option_integer(options, "shortest", 1) < 0)
    return fail(reply, "bad-option", "`shortest` must not be negative", "shortest");
  reply->text(reply->host, text_of("{\"reads\": [{\"name\": \"text\", \"type\": \"utf8\"}],"
                                   "\"writes\": [{\"name\": \"words\", \"type\": \"u64\"}]}"));
  return 0;
}

static int32_t create(segue_text operator_name, segue_text options, segue_text context,
                      const segue_reply *reply, void **stage) {
  (void)operator_name;
  (void)context;
  struct word_count_stage *made = malloc(sizeof *made);
  if (made == NULL) return fail(reply, "no-memory", "no memory for the stage", "");
  made->shortest = segue_option_integer(options, "shortest", 1);
  *stage = made;
  return 0;
}

static uint64_t count(const struct word_count_stage *self, const char *text, int64_t length) {
  uint64_t words = 0;
  int64_t run = 0;
  for (int64_t i = 0; i <= length; i++) {
    int space = i == length || text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
    if (!space) run++;
    if (space && run > 0 && run >= self->shortest) words++;
    if (space) run = 0;
  }
  return words;
}

/* What one output batch owns: a struct array with the one child `words`. */
struct output {
  struct ArrowArray child;
  struct ArrowArray *children[1];
  const void *buffers[1];
  const void *child_buffers[2];
};

struct output_schema {
  struct ArrowSchema child;
  struct ArrowSchema *children[1];
};

static void release_child(struct ArrowArray *array) {
  free((void *)array->buffers[1]);
  array->release = NULL;
}

static void release_array(struct ArrowArray *array) {
  struct output *output = array->private_data;
  if (output->child.release) output->child.release(&output->child);
  free(output);
  array->release = NULL;
}

static void release_nothing(struct ArrowSchema *schema) { schema->release = NULL; }

static void release_schema(struct ArrowSchema *schema) {
  free(schema->private_data);
  schema->release = NULL;
}

/* Hands `rows` numbers to the host; `words` is freed with the batch. */
static int32_t give(const segue_reply *reply, uint64_t *words, int64_t rows) {
  struct output *output = calloc(1, sizeof *output);
  struct output_schema *types = calloc(1, sizeof *types);
  if (output == NULL || types == NULL) {
    free(words);
    free(output);
    free(types);
    return fail(reply, "no-memory", "no memory for the output", "");
  }
  output->child_buffers[1] = words;
  output->child = (struct ArrowArray){.length = rows, .n_buffers = 2,
                                      .buffers = output->child_buffers,
                                      .release = release_child};
  output->children[0] = &output->child;
  struct ArrowArray array = {.length = rows, .n_buffers = 1, .n_children = 1,
                             .buffers = output->buffers, .children = output->children,
                             .release = release_array, .private_data = output};
  types->child = (struct ArrowSchema){.format = "L", .name = "words", .release = release_nothing};
  types->children[0] = &types->child;
  struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1,
                               .children = types->children,
                               .release = release_schema, .private_data = types};
  reply->batch(reply->host, &array, &schema);
  return 0;
}

static int32_t process(void *stage, uint64_t time, struct ArrowArray *array,
                       struct ArrowSchema *schema, const segue_reply *reply) {
  (void)time;
  const struct word_count_stage *self = stage;
  /* The host gives what `columns` says is read: one child of format "u" (utf8). */
  const struct ArrowArray *text = array->children[0];
  const uint8_t *valid = text->buffers[0];
  const int32_t *offsets = text->buffers[1];
  const char *bytes = text->buffers[2];
  int64_t rows = array->length;
  uint64_t *words = calloc(rows > 0 ? (size_t)rows : 1, sizeof *words);
  for (int64_t row = 0; words != NULL && row < rows; row++) {
    int64_t at = array->offset + text->offset + row;
    if (valid != NULL && !(valid[at / 8] >> (at % 8) & 1)) continue;
    words[row] = count(self, bytes + offsets[at], offsets[at + 1] - offsets[at]);
  }
  array->release(array);
  schema->release(schema);
  if (words == NULL) return fail(reply, "no-memory", "no memory for the output", "");
  return give(reply, words, rows);
}

static void drop(void *stage) { free(stage); }

static const segue_plugin table = {
    .magic = SEGUE_MAGIC,
    .abi_major = SEGUE_ABI_MAJOR,
    .abi_minor = SEGUE_ABI_MINOR,
    .size = sizeof(segue_plugin),
    .manifest = manifest,
    .columns = columns,
    .create = create,
    .process = process,
    .drop = drop,
};

const segue_plugin *segue_plugin_table(void) { return &table; }
