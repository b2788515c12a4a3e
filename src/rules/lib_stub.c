/* Until the message object and the webhook bodies are here. */
#include "lib_priv.h"

void lib_open_msg(struct vm *vm) {
}

void lib_msg_push(lua_State *L, rules_job *job) {
    lua_pushnil(L);
}

void lib_msg_invalidate(rules_job *job) {
}

struct payload *payload_new(const struct payload_request *request) {
    return NULL;
}

void payload_free(struct payload *payload) {
}

enum payload_status payload_run(struct payload *payload, wire_bytes *body_out, struct vm_error *err_out) {
    return PAYLOAD_OK;
}
