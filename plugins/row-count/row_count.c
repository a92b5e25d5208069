/* row-count: counts rows until it has seen enough, and gives the number at its end. A stage
 * that keeps state, in C: it has an input port, says when it is done, and gives its state to
 * the host, so that after a crash it goes on where it was.
 *
 *   cc -std=c11 -O2 -fPIC -shared -I. -o libsegue_row_count.so row_count.c
 */
#include "segue.h"

#include <stdlib.h>
#include <string.h>

struct row_count_stage {
  uint64_t most; /* after so many it needs no more; 0: it counts all */
  uint64_t rows; /* its state */
};

static segue_text text_of(const char *text) {
  segue_text result = {text, strlen(text)};
  return result;
}

static int32_t fail(const segue_reply *reply, const char *code, const char *message) {
  reply->fail(reply->host, text_of(code), text_of(message), text_of(""));
  return 1;
}

static int32_t manifest(const segue_reply *reply) {
  reply->text(reply->host, text_of(
      "{\"operators\": [{"
      "\"name\": \"row-count\", \"version\": \"1.0.0\","
      "\"doc\": \"Counts rows until it has seen enough.\","
      "\"ports\": [{\"name\": \"texts\"}],"
      "\"options\": [{\"name\": \"most\", \"type\": \"integer\", \"default\": 0, \"minimum\": 0,"
      "  \"doc\": \"After so many rows it needs no more; 0: it counts all.\"}],"
      "\"examples\": [{\"options\": {}, \"input\": [{\"text\": \"a\"}, {\"text\": \"b\"}],"
      "  \"output\": [{\"rows\": 2}]}]"
      "}]}"));
  return 0;
}

static int32_t columns(segue_text operator_name, segue_text options, segue_text input,
                       const segue_reply *reply) {
  (void)operator_name;
  (void)options;
  (void)input;
  reply->text(reply->host, text_of(
      "{\"reads\": [{\"name\": \"text\", \"type\": \"utf8\", \"port\": \"texts\"}],"
      "\"writes\": [{\"name\": \"rows\", \"type\": \"u64\"}], \"rows\": \"new\","
      "\"stateful\": true, \"snapshots\": true}"));
  return 0;
}

static int32_t create(segue_text operator_name, segue_text options, segue_text context,
                      const segue_reply *reply, void **stage) {
  (void)operator_name;
  (void)context;
  struct row_count_stage *self = calloc(1, sizeof *self);
  if (self == NULL) return fail(reply, "no-memory", "no memory for the stage");
  self->most = (uint64_t)segue_option_integer(options, "most", 0);
  *stage = self;
  return 0;
}

static int32_t process_from(void *stage, const segue_origin *origin, struct ArrowArray *array,
                            struct ArrowSchema *schema, const segue_reply *reply) {
  struct row_count_stage *self = stage;
  (void)origin; /* there is one port, number 0 */
  self->rows += (uint64_t)array->length;
  array->release(array);
  schema->release(schema);
  /* Nothing comes after this, so the sources that lead only here stop reading. */
  if (self->most > 0 && self->rows >= self->most) reply->done(reply->host);
  return 0;
}

static int32_t process(void *stage, uint64_t time, struct ArrowArray *array,
                       struct ArrowSchema *schema, const segue_reply *reply) {
  segue_origin origin = {time, 0, 0};
  return process_from(stage, &origin, array, schema, reply);
}

static int32_t snapshot(void *stage, const segue_reply *reply) {
  struct row_count_stage *self = stage;
  reply->state(reply->host, (const uint8_t *)&self->rows, sizeof self->rows);
  return 0;
}

static int32_t restore(void *stage, const uint8_t *bytes, size_t length,
                       const segue_reply *reply) {
  struct row_count_stage *self = stage;
  if (length != sizeof self->rows) return fail(reply, "no-state", "the state has another length");
  memcpy(&self->rows, bytes, length);
  return 0;
}

/* What the output batch owns: a struct array with the one child `rows`, and their types. */
struct output {
  struct ArrowArray child;
  struct ArrowArray *children[1];
  const void *buffers[1];
  const void *child_buffers[2];
  uint64_t rows;
};

struct output_schema {
  struct ArrowSchema child;
  struct ArrowSchema *children[1];
};

static void release_child(struct ArrowArray *array) { array->release = NULL; }

static void release_array(struct ArrowArray *array) {
  free(array->private_data);
  array->release = NULL;
}

static void release_nothing(struct ArrowSchema *schema) { schema->release = NULL; }

static void release_schema(struct ArrowSchema *schema) {
  free(schema->private_data);
  schema->release = NULL;
}

static int32_t finish(void *stage, const segue_reply *reply, int32_t *more) {
  struct row_count_stage *self = stage;
  struct output *output = calloc(1, sizeof *output);
  struct output_schema *types = calloc(1, sizeof *types);
  if (output == NULL || types == NULL) {
    free(output);
    free(types);
    return fail(reply, "no-memory", "no memory for the output");
  }
  output->rows = self->rows;
  output->child_buffers[1] = &output->rows;
  output->child = (struct ArrowArray){.length = 1, .n_buffers = 2,
                                      .buffers = output->child_buffers, .release = release_child};
  output->children[0] = &output->child;
  struct ArrowArray array = {.length = 1, .n_buffers = 1, .n_children = 1,
                             .buffers = output->buffers, .children = output->children,
                             .release = release_array, .private_data = output};
  types->child = (struct ArrowSchema){.format = "L", .name = "rows", .release = release_nothing};
  types->children[0] = &types->child;
  struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1,
                               .children = types->children,
                               .release = release_schema, .private_data = types};
  reply->batch(reply->host, &array, &schema);
  *more = 0;
  return 0;
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
    .process_from = process_from,
    .drop = drop,
    .finish = finish,
    .snapshot = snapshot,
    .restore = restore,
};

const segue_plugin *segue_plugin_table(void) { return &table; }
