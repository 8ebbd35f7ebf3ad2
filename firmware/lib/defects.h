/*
 * Faults that can be planted, to prove that the regression suite finds them. A normal build plants
 * none and contains no trace of this. A planted build is made with -DDEFECT_name=1.
 */
#ifndef DEFECTS_H
#define DEFECTS_H

/* The value to use: `wrong` in a build that plants the defect, `right` in every other. */
#define DEFECT(name, wrong, right) (DEFECT_##name ? (wrong) : (right))

/* bootloader: a test update counts as confirmed whether the application confirmed it or not */
#ifndef DEFECT_ignore_missing_confirm
#define DEFECT_ignore_missing_confirm 0
#endif

/* bootloader: an update is installed although what it depends on is not there */
#ifndef DEFECT_ignore_unmet_dependency
#define DEFECT_ignore_unmet_dependency 0
#endif

/* application: reports success for an update that it did not carry out */
#ifndef DEFECT_false_success
#define DEFECT_false_success 0
#endif

#endif
