/* title_priv.h - what ps(1) shows. */
#ifndef EVALUATOR_TITLE_PRIV_H
#define EVALUATOR_TITLE_PRIV_H

/* Overwrites this process's arguments; cut where they were shorter. Needs /proc: before the lock-down. */
void title_set(const char *title);

#endif
