/* A plugin in C whose batch 2 is wrong in the way that the compiler's flags say: FAULT
 * is a statement that runs before that batch is given, AT_BATCH one that runs instead of
 * any work on it. Its columns are one of each layout. */
#include "segue.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FAULT
#define FAULT
#endif
#ifndef AT_BATCH
#define AT_BATCH
#endif
#ifndef ROWS
#define ROWS "same"
#endif
#ifndef UNITS
#define UNITS 0
#endif
#ifndef AT_COLUMNS
#define AT_COLUMNS
#endif

static segue_text text_of(const char *text) {
  segue_text result = {text, strlen(text)};
  return result;
}

static int32_t manifest(const segue_reply *reply) {
  reply->text(reply->host, text_of("{\"operators\": [{\"name\": \"odd\", \"version\": \"1.0.0\","
                                   "\"doc\": \"Odd.\"}]}"));
  return 0;
}

static int32_t columns(segue_text name, segue_text options, segue_text input,
                       const segue_reply *reply) {
  (void)name, (void)options, (void)input;
  AT_COLUMNS;
  reply->text(reply->host, text_of("{\"reads\": [{\"name\": \"text\", \"type\": \"utf8\"}],"
                                   "\"writes\": [{\"name\": \"number\", \"type\": \"u64\"},"
                                   "{\"name\": \"word\", \"type\": \"utf8\"},"
                                   "{\"name\": \"list\", \"type\": \"list u32\"},"
                                   "{\"name\": \"pair\", \"type\": \"fixed f32[2]\"}],"
                                   "\"rows\": \"" ROWS "\"}"));
  return 0;
}

static int32_t create(segue_text name, segue_text options, segue_text context,
                      const segue_reply *reply, void **stage) {
  (void)name, (void)options, (void)context, (void)reply;
  *stage = NULL;
  return 0;
}

#define MOST 64

/* All that one batch needs: the batch itself, four columns, and two columns' items. */
struct given {
  struct ArrowArray array, column[4], item[2], deeper[8];
  struct ArrowSchema schema, named[4], items[2], deep[8];
  struct ArrowArray *columns[4], *list_items[1], *pair_items[1], *inner[8];
  struct ArrowSchema *names[4], *list_types[1], *pair_types[1], *types[8];
  const void *none[1], *buffers[4][3], *item_buffers[2][2];
  uint64_t numbers[MOST];
  int32_t word_ends[MOST + 1], list_ends[MOST + 1];
  char words[MOST];
  uint32_t listed[MOST];
  float pairs[2 * MOST];
};

/* Nothing is freed: what is given may be odd, and a test is short. */
static void release_array(struct ArrowArray *array) { array->release = NULL; }
static void release_schema(struct ArrowSchema *schema) { schema->release = NULL; }

static void leaf(struct ArrowArray *array, struct ArrowSchema *schema, const char *name,
                 const char *format, int64_t length, int64_t n_buffers, const void **buffers) {
  *array = (struct ArrowArray){.length = length, .n_buffers = n_buffers, .buffers = buffers,
                               .release = release_array};
  *schema = (struct ArrowSchema){.format = format, .name = name, .release = release_schema};
}

static void fill(struct given *given, int64_t rows) {
  static const char *const names[] = {"number", "word", "list", "pair"};
  static const char *const formats[] = {"L", "u", "+l", "+w:2"};
  static const int64_t buffers[] = {2, 3, 2, 1};
  memset(given, 0, sizeof *given);
  for (int i = 0; i < MOST; i++) {
    given->numbers[i] = (uint64_t)i;
    given->word_ends[i + 1] = given->list_ends[i + 1] = i + 1;
    given->words[i] = 'w';
  }
  given->buffers[0][1] = given->numbers;
  given->buffers[1][1] = given->word_ends;
  given->buffers[1][2] = given->words;
  given->buffers[2][1] = given->list_ends;
  given->item_buffers[0][1] = given->listed;
  given->item_buffers[1][1] = given->pairs;
  leaf(&given->item[0], &given->items[0], "item", "I", rows, 2, given->item_buffers[0]);
  leaf(&given->item[1], &given->items[1], "item", "f", 2 * rows, 2, given->item_buffers[1]);
  for (int i = 0; i < 4; i++) {
    leaf(&given->column[i], &given->named[i], names[i], formats[i], rows, buffers[i],
         given->buffers[i]);
    given->columns[i] = &given->column[i];
    given->names[i] = &given->named[i];
  }
  struct ArrowArray **items[] = {given->list_items, given->pair_items};
  struct ArrowSchema **types[] = {given->list_types, given->pair_types};
  for (int i = 0; i < 2; i++) {
    items[i][0] = &given->item[i];
    types[i][0] = &given->items[i];
    given->column[2 + i].n_children = given->named[2 + i].n_children = 1;
    given->column[2 + i].children = items[i];
    given->named[2 + i].children = types[i];
  }
  leaf(&given->array, &given->schema, "", "+s", rows, 1, given->none);
  given->array.n_children = given->schema.n_children = 4;
  given->array.children = given->columns;
  given->schema.children = given->names;
}

/* Lists in lists in lists. */
__attribute__((unused)) static void nest(struct given *given) {
  for (int i = 0; i < 8; i++) {
    leaf(&given->deeper[i], &given->deep[i], "item", "+l", 4, 2, given->buffers[2]);
    given->deeper[i].n_children = given->deep[i].n_children = 1;
    given->inner[i] = &given->deeper[i];
    given->types[i] = &given->deep[i];
    /* The last one is its own child. */
    given->deeper[i].children = &given->inner[i < 7 ? i + 1 : i];
    given->deep[i].children = &given->types[i < 7 ? i + 1 : i];
  }
  given->list_items[0] = &given->deeper[0];
  given->list_types[0] = &given->deep[0];
}

__attribute__((unused)) static void *crash_apart(void *nothing) {
  (void)nothing;
  *(volatile int *)8 = 1;
  return NULL;
}

__attribute__((unused)) static void crash_on_a_thread(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, crash_apart, NULL);
  pthread_join(thread, NULL);
}

__attribute__((unused)) static int overflow(volatile char *before) {
  volatile char here[4096];
  here[0] = before[0];
  return here[0] ? overflow(here) + here[0] : 0;
}

static int32_t process(void *stage, uint64_t time, struct ArrowArray *array,
                       struct ArrowSchema *schema, const segue_reply *reply) {
  (void)stage;
  int64_t rows = array->length;
  array->release(array);
  schema->release(schema);
  struct given *given = malloc(sizeof *given);
  fill(given, rows);
  if (time == 2) {
    AT_BATCH;
    FAULT;
  }
  reply->batch(reply->host, &given->array, &given->schema);
  return 0;
}

static void drop(void *stage) { (void)stage; }

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
