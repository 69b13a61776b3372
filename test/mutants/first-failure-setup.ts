// That a property fails is all that is asked; to look for its smallest case takes longer than the property.
import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });
