/* What the binding asks first: is this the library it was written for? */
#include "library.h"

int32_t ct_abi(void)
{
        return CT_LIBRARY_ABI;
}
