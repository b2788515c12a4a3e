/*
 * lib_msg_priv.h - what the lib_msg_*.c files share: the message's userdata and what hangs on it.
 */
#ifndef RULES_LIB_MSG_PRIV_H
#define RULES_LIB_MSG_PRIV_H

#include "lib_priv.h"

#define MSG_TYPE "mailruled.msg"

struct msg_ud {
    rules_job *job; /* NULL once the job is over */
    int ref;
};

/* Pushes one value and returns MAIL_OK; pushes nothing on MAIL_ABSENT and MAIL_NEED. */
typedef enum mail_status (*msg_getter)(lua_State *L, rules_job *job, mail_need *need);

/* The job of the message at arg; raises if it is none, or is over. */
rules_job *msg_check(lua_State *L, int arg);
/* The job behind a userdata that hangs on a message (which it keeps as its user value 1). */
rules_job *msg_check_owner(lua_State *L, const struct msg_ud *msg);
/* Waits for the message's own data; goes on in k, which first calls msg_check_fetched. */
int msg_wait(lua_State *L, rules_job *job, const mail_need *need, const char *what, lua_KContext ctx, lua_KFunction k);
void msg_check_fetched(lua_State *L, rules_job *job);

/* lib_msg_types.c */
void msg_push_address(lua_State *L, const mail_address *address);
void msg_push_addresses(lua_State *L, const mail_address *list, size_t n);
void msg_push_strings(lua_State *L, const char *const *items, size_t n);
enum mail_status msg_get_attachments(lua_State *L, rules_job *job, mail_need *need);
enum mail_status msg_get_headers(lua_State *L, rules_job *job, mail_need *need);
enum mail_status msg_get_flags(lua_State *L, rules_job *job, mail_need *need);
enum mail_status msg_get_flags_added(lua_State *L, rules_job *job, mail_need *need);
enum mail_status msg_get_flags_removed(lua_State *L, rules_job *job, mail_need *need);
void msg_open_types(lua_State *L);
void msg_open_actions(lua_State *L);

#endif
