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

static void drop(void *stage) { (void)stage; }

__attribute__((unused)) static const segue_plugin table = {
    .magic = MAGIC,
    .abi_major = MAJOR,
    .abi_minor = MINOR,
    .size = SIZE,
    .manifest = manifest,
    .columns = columns,
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
