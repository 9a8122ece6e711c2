/*===- RunMain.h - The command line of rapt-run and of executable models --------*- C -*-===//
 *
 * One program in a function: rapt-run calls it with a null model and takes the model's path as its
 * first argument, an executable written by raptc calls it with the model that is linked in.
 *===------------------------------------------------------------------------------------===*/
#ifndef RAPT_TOOLS_RUNMAIN_H
#define RAPT_TOOLS_RUNMAIN_H

#include "rapt_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the exit code: 0 done, 1 an error or outputs that differ from --expect, 2 wrong usage. */
int rapt_run_main(int argc, char **argv, const rapt_abi_model *embedded);

#ifdef __cplusplus
}
#endif
#endif /* RAPT_TOOLS_RUNMAIN_H */
