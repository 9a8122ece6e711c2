/*===- ModelMain.c - main of an executable model -----------------------------------*- C -*-===//
 *
 * The linker takes this member of librapt_main.a when nothing else defines main; `rapt_model`
 * (RAPT_ABI_SYMBOL) comes from the model's object.
 *===------------------------------------------------------------------------------------===*/
#include "RunMain.h"

extern const rapt_abi_model rapt_model;

int main(int argc, char **argv) { return rapt_run_main(argc, argv, &rapt_model); }
