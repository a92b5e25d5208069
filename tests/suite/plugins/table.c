/* A plugin that is wrong in the way that the compiler's flags say. */
#include "segue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MAGIC
#define MAGIC SEGUE_MAGIC
#endif
#ifndef MAJOR
#define MAJOR SEGUE_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR SEGUE_ABI_MINOR
#endif
#ifndef SIZE
#define SIZE sizeof(segue_plugin)
#endif
#ifndef PROCESS
#define PROCESS process
#endif
#ifndef MANIFEST
#define MANIFEST "{\"operators\": [{\"name\": \"odd\", \"version\": \"1.0.0\", \"doc\": \"Odd.\"}]}"
#endif

#ifdef AFTER_FORK
#include <stdio.h>
/* Leaves a child that never ends, and its number in the file `children`. */
static void note(void) {
  int child = (int)fork();
  if (child == 0)
    for (;;) pause();
  FILE *file = fopen("children", "a");
  fprintf(file, "%d\n", child);
  fclose(file);
}
#endif
#ifdef UNITS
/* UNITS is the answer with one unit; the answer has that UNITS_COUNT times. */
static int32_t count_units(segue_text name, segue_text options, const segue_reply *reply) {
  (void)name, (void)options;
  const char *first = strchr(strchr(UNITS, '['), '{');
  size_t head = (size_t)(first - UNITS), unit = strlen(first) - 2, at = 0;
  char *text = malloc(head + (unit + 1) * UNITS_COUNT + 8);
  memcpy(text, UNITS, head);
  at = head;
  for (int i = 0; i < UNITS_COUNT; i++) {
    if (i > 0) text[at++] = ',';
    memcpy(text + at, first, unit);
    at += unit;
  }
  memcpy(text + at, "]}", 2);
  segue_text answer = {text, at + 2};
  reply->text(reply->host, answer);
  free(text);
  return 0;
}
#else
#define count_units NULL
#endif

#ifdef AT_LOAD
__attribute__((constructor)) static void at_load(void) { AT_LOAD; }
#endif

static int32_t manifest(const segue_reply *reply) {
  segue_text text = {MANIFEST, strlen(MANIFEST)};
  reply->text(reply->host, text);
  return 0;
}

static int32_t columns(segue_text name, segue_text options, segue_text input,
                       const segue_reply *reply) {
  (void)name, (void)options, (void)input;
  segue_text text = {"{}", 2};
  reply->text(reply->host, text);
  return 0;
}

static int32_t create(segue_text name, segue_text options, segue_text context,
                      const segue_reply *reply, void **stage) {
  (void)name, (void)options, (void)context, (void)reply;
  *stage = NULL;
  return 0;
}

/* Fails, and gives no reason. */
__attribute__((unused)) static int32_t process(void *stage, uint64_t time,
                                               struct ArrowArray *array,
                                               struct ArrowSchema *schema,
                                               const segue_reply *reply) {
  (void)stage, (void)time, (void)reply;
  array->release(array);
  schema->release(schema);
  return 7;
}

__attribute__((unused)) static int32_t crash(void *stage, uint64_t time, struct ArrowArray *array,
                                             struct ArrowSchema *schema,
                                             const segue_reply *reply) {
  (void)stage, (void)time, (void)array, (void)schema, (void)reply;
  abort();
}

__attribute__((unused)) static int32_t leave(void *stage, uint64_t time, struct ArrowArray *array,
                                             struct ArrowSchema *schema,
                                             const segue_reply *reply) {
  (void)stage, (void)time, (void)array, (void)schema, (void)reply;
  exit(0);
}

static void drop(void *stage) { (void)stage; }

__attribute__((unused)) static const segue_plugin table = {
    .magic = MAGIC,
    .abi_major = MAJOR,
    .abi_minor = MINOR,
    .size = SIZE,
    .manifest = manifest,
    .columns = columns,
    .units = count_units,
    .create = create,
    .process = PROCESS,
    .drop = drop,
};

#ifndef SYMBOL
#define SYMBOL segue_plugin_table
#endif
#ifndef TABLE
#define TABLE &table
#endif
const segue_plugin *SYMBOL(void);
const segue_plugin *SYMBOL(void) { return TABLE; }
