from diffit.cli import main

raise SystemExit(main())
