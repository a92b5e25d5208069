/* Two operators for a loop: `keeper` keeps state and sends its rows round three times,
 * `copy` gives them back. */
#include "segue.h"
#include <stdlib.h>
#include <string.h>

typedef struct stage {
  int keeps;
  int calls;
  int saves;
} stage;

static segue_text text(const char *words) {
  segue_text all = {words, strlen(words)};
  return all;
}

static int32_t manifest(const segue_reply *reply) {
  reply->text(reply->host,
              text("{\"operators\":["
                   "{\"name\":\"keeper\",\"version\":\"1\",\"doc\":\"keeps\",\"options\":["
                   "{\"name\":\"save\",\"type\":\"integer\",\"default\":0,\"doc\":\"whether\"}]},"
                   "{\"name\":\"copy\",\"version\":\"1\",\"doc\":\"copies\",\"options\":[]}]}"));
  return 0;
}

static int32_t columns(segue_text name, segue_text options, segue_text input,
                       const segue_reply *reply) {
  (void)options;
  (void)input;
  reply->text(reply->host,
              text(name.data[0] == 'k'
                       ? "{\"reads\":[{\"name\":\"review\",\"type\":\"u64\"}],"
                         "\"writes\":[{\"name\":\"review\",\"type\":\"u64\"}],"
                         "\"rows\":\"new\",\"keeps\":true}"
                       : "{\"reads\":[{\"name\":\"review\",\"type\":\"u64\"}],"
                         "\"writes\":[{\"name\":\"x\",\"type\":\"u64\"}]}"));
  return 0;
}

static int32_t create(segue_text name, segue_text options, segue_text context,
                      const segue_reply *reply, void **made) {
  (void)context;
  (void)reply;
  stage *one = calloc(1, sizeof *one);
  one->keeps = name.data[0] == 'k';
  one->saves = (int)segue_option_integer(options, "save", 0);
  *made = one;
  return 0;
}

typedef struct column {
  struct ArrowArray array;
  struct ArrowArray *arrays[1];
  const void *none[1];
  const void *buffers[2];
  struct ArrowSchema schema;
  struct ArrowSchema *schemas[1];
  int left;
} column;

static void give_up(column *one) {
  if (--one->left == 0) {
    free((void *)one->buffers[1]);
    free(one);
  }
}

static void release_array(struct ArrowArray *array) {
  if (array->private_data) give_up(array->private_data);
  array->release = 0;
}

static void release_schema(struct ArrowSchema *schema) {
  if (schema->private_data) give_up(schema->private_data);
  schema->release = 0;
}

static void give(const segue_reply *reply, uint64_t *values, int64_t length, const char *name) {
  column *one = calloc(1, sizeof *one);
  one->left = 4;
  one->buffers[1] = values;
  one->array = (struct ArrowArray){.length = length, .n_buffers = 2, .buffers = one->buffers,
                                   .release = release_array, .private_data = one};
  one->schema = (struct ArrowSchema){.format = "L", .name = name, .release = release_schema,
                                     .private_data = one};
  one->arrays[0] = &one->array;
  one->schemas[0] = &one->schema;
  /* The host moves children out with their parents, and releases the parents alone. */
  one->left = 2;
  one->array.private_data = 0;
  one->schema.private_data = 0;
  struct ArrowArray array = {.length = length, .n_buffers = 1, .n_children = 1,
                             .buffers = one->none, .children = one->arrays,
                             .release = release_array, .private_data = one};
  struct ArrowSchema schema = {.format = "+s", .name = "", .n_children = 1,
                               .children = one->schemas, .release = release_schema,
                               .private_data = one};
  reply->batch(reply->host, &array, &schema);
}

static int32_t process(void *made, uint64_t time, struct ArrowArray *array,
                       struct ArrowSchema *schema, const segue_reply *reply) {
  (void)time;
  stage *one = made;
  int64_t length = array->length;
  const struct ArrowArray *child = array->children[0];
  const uint64_t *in = child->buffers[1];
  uint64_t *out = malloc(8 * (size_t)(length ? length : 1));
  for (int64_t i = 0; i < length; i++) out[i] = in[array->offset + child->offset + i];
  array->release(array);
  schema->release(schema);
  if (!one->keeps) {
    give(reply, out, length, "x");
    return 0;
  }
  if (one->saves) reply->saved(reply->host);
  if (one->calls++ < 3) give(reply, out, length, "review");
  else free(out);
  return 0;
}

static void drop(void *made) { free(made); }

static const segue_plugin table = {
    .magic = SEGUE_MAGIC, .abi_major = 1, .abi_minor = 1, .size = sizeof(segue_plugin),
    .manifest = manifest, .columns = columns, .create = create, .process = process,
    .drop = drop};

const segue_plugin *segue_plugin_table(void) { return &table; }
