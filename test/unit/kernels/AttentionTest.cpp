#include "Specs.h"
